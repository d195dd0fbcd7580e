# bash completion for meshctl.  What there is, it asks meshctl itself: commands and flags stand in its help texts, names
# of listeners, chains, clusters and endpoints are those that the running meshd has.

# Splits the line up to the cursor as the shell will: $words are those before the cursor's, $cur is that one, both without
# quotes; $quote is the quote that $cur stands in.  COMP_WORDS will not do: it is cut at every ':'.
_meshctl_split()
{
	local line=${COMP_LINE:0:COMP_POINT} c i escaped='' begun=''
	words=() cur='' quote=''
	for ((i = 0; i < ${#line}; i++)); do
		c=${line:i:1}
		if [[ $escaped ]]; then
			cur+=$c escaped=''
		elif [[ $c == \\ && $quote != \' ]]; then
			escaped=1 begun=1
		elif [[ $quote ]]; then
			if [[ $c == "$quote" ]]; then quote=; else cur+=$c; fi
		elif [[ $c == [\'\"] ]]; then
			quote=$c begun=1
		elif [[ $c == [[:space:]] ]]; then
			[[ $begun ]] && words+=("$cur")
			cur='' begun=''
		else
			cur+=$c begun=1
		fi
	done
}

# The lines of its input that begin with $1 become answers.  Without a quote the shell's own signs are escaped, and what
# stands before the last ':' or '=' is already on the line and would be there twice.
_meshctl_answer()
{
	local typed=$1 word kept=
	[[ ! $quote && $COMP_WORDBREAKS == *:* && $typed == *:* ]] && kept=${typed%"${typed##*:}"}
	while IFS= read -r word; do
		[[ $word && $word == "$typed"* ]] || continue
		word=${word#"$kept"}
		if [[ $quote ]]; then COMPREPLY+=("$word"); else COMPREPLY+=("$(printf %q "$word")"); fi
	done
}

# The first column of a help text: "name|alias", "--flag VALUE".
_meshctl_help()
{
	"$meshctl" "${path[@]}" -h 2>/dev/null | sed -n 's/^  \(-[^ ]*\).*/\1/p; s/^  \([a-z][a-z|-]*\) .*/\1/p' | tr '|' '\n'
}

# Does this flag have a value?
_meshctl_takes_value()
{
	case $1 in
	-r | --rundir | -o | --output) return 0 ;;
	esac
	"$meshctl" "${path[@]}" -h 2>/dev/null | grep -q -- "^  $1 [A-Z]"
}

# Commands so far into $path, the folder of the sockets into $rundir, the flag whose value comes next into $flag.
_meshctl_walk()
{
	local word known
	path=() rundir=() flag=''
	for word in "${words[@]:1}"; do
		if [[ $flag ]]; then
			[[ $flag == -r || $flag == --rundir ]] && rundir=(-r "$word")
			flag=
		elif [[ $word == --rundir=* ]]; then
			rundir=(-r "${word#*=}")
		elif [[ $word == -* ]]; then
			[[ $word != *=* ]] && _meshctl_takes_value "$word" && flag=$word
		else
			known=$'\n'$(_meshctl_help)$'\n'
			[[ $known == *$'\n'"$word"$'\n'* ]] && path+=("$word")
		fi
	done
}

# The shell quotes names of files itself.
_meshctl_files()
{
	compopt -o filenames 2>/dev/null
	mapfile -t COMPREPLY < <(compgen "$1" -- "$2")
}

# What a flag may have as its value.
_meshctl_values()
{
	case $1 in
	-o | --output) printf '%s\n' short json yaml ;;
	--listener | --chain | --cluster | --endpoint)
		timeout 2 "$meshctl" "${rundir[@]}" names "${1#--}" 2>/dev/null ;;
	--direction) printf '%s\n' inbound outbound ;;
	--status) printf '%s\n' healthy unhealthy ;;
	--type) printf '%s\n' TCP HTTP HTTP+TCP ;;
	esac
}

_meshctl()
{
	local meshctl=$1 words cur quote path rundir flag
	COMPREPLY=()
	_meshctl_split
	_meshctl_walk
	[[ ! $flag && $cur == --*=* ]] && flag=${cur%%=*} cur=${cur#*=}
	case $flag:$cur in
	-r:* | --rundir:* | -I:*) _meshctl_files -d "$cur" ;;
	-*:*) _meshctl_answer "$cur" < <(_meshctl_values "$flag") ;;
	:-*) _meshctl_answer "$cur" < <(_meshctl_help | grep '^-'; printf '%s\n' --rundir --output --help) ;;
	*)
		case ${path[*]} in
		check | "intercept plan") _meshctl_files -f "$cur" ;;
		names) _meshctl_answer "$cur" < <(printf '%s\n' listener chain cluster endpoint) ;;
		*) _meshctl_answer "$cur" < <(_meshctl_help | grep -v '^-') ;;
		esac
		;;
	esac
}

complete -F _meshctl meshctl

/* The order of tokens: see grammar.h. */
#include "conf/grammar.h"

#include <stdbool.h>
#include <stddef.h>

#define NO (-1)

/* name  =  string  scalar  open  close  ;  ,		A group's end is its opener's business: see close_level(). */
static const signed char in_group[GRAMMAR_STATES][TOKEN_KINDS] = {
	[EXPECT_NAME] = { EXPECT_EQUALS, NO, NO, NO, NO, AFTER_VALUE, NO, NO },
	[EXPECT_EQUALS] = { NO, EXPECT_VALUE, NO, NO, NO, NO, NO, NO },
	[EXPECT_VALUE] = { NO, NO, AFTER_STRING, AFTER_VALUE, AFTER_VALUE, NO, NO, NO },
	[EXPECT_MEMBER] = { NO, NO, NO, NO, NO, NO, NO, NO },
	[AFTER_STRING] = { EXPECT_EQUALS, NO, AFTER_STRING, NO, NO, AFTER_VALUE, EXPECT_NAME, EXPECT_NAME },
	[AFTER_VALUE] = { EXPECT_EQUALS, NO, NO, NO, NO, AFTER_VALUE, EXPECT_NAME, EXPECT_NAME },
	[EXPECT_ANY] = { EXPECT_EQUALS, EXPECT_VALUE, AFTER_STRING, AFTER_VALUE, AFTER_VALUE, AFTER_VALUE, EXPECT_NAME, EXPECT_NAME },
};

static const signed char in_list[GRAMMAR_STATES][TOKEN_KINDS] = {
	[EXPECT_NAME] = { NO, NO, NO, NO, NO, NO, NO, NO },
	[EXPECT_EQUALS] = { NO, NO, NO, NO, NO, NO, NO, NO },
	[EXPECT_VALUE] = { NO, NO, AFTER_STRING, AFTER_VALUE, AFTER_VALUE, NO, NO, NO },
	[EXPECT_MEMBER] = { NO, NO, AFTER_STRING, AFTER_VALUE, AFTER_VALUE, AFTER_VALUE, NO, NO },
	[AFTER_STRING] = { NO, NO, AFTER_STRING, NO, NO, AFTER_VALUE, NO, EXPECT_VALUE },
	[AFTER_VALUE] = { NO, NO, NO, NO, NO, AFTER_VALUE, NO, EXPECT_VALUE },
	[EXPECT_ANY] = { NO, NO, AFTER_STRING, AFTER_VALUE, AFTER_VALUE, AFTER_VALUE, NO, EXPECT_VALUE },
};

static const char *group_words(enum grammar_state state, enum grammar_token token)
{
	if (state == EXPECT_NAME && token == TOKEN_EQUALS)
		return "there is no name before this \"=\"";
	if (state == EXPECT_NAME)
		return token == TOKEN_SEMICOLON || token == TOKEN_COMMA ? "there is no setting before this" :
		    "a setting begins with its name: name = value;";
	if (state == EXPECT_EQUALS)
		return "a name is followed by \"=\": name = value;";
	if (state == EXPECT_VALUE)
		return token == TOKEN_NAME ? "this is no value: text stands in quotes" : "there is no value after \"=\"";
	return token == TOKEN_EQUALS ? "there is no name before this \"=\"" : "there is a \";\" missing before this";
}

static const char *list_words(enum grammar_state state, enum grammar_token token)
{
	if (token == TOKEN_NAME)
		return "this is no value: text stands in quotes, and name = value in { }";
	if (token == TOKEN_EQUALS)
		return "name = value stands in { }";
	if (token == TOKEN_SEMICOLON)
		return "members of a list are separated by \",\"";
	if (token == TOKEN_CLOSE)
		return "there is no value after the last \",\"";
	return state == EXPECT_VALUE || state == EXPECT_MEMBER ? "there is no value before this \",\"" :
	    "there is a \",\" missing before this";
}

const char *grammar_next(char open, enum grammar_token token, enum grammar_state *state)
{
	bool list = open == '(' || open == '[';
	int next = list ? in_list[*state][token] : in_group[*state][token];

	if (next == NO)
		return list ? list_words(*state, token) : group_words(*state, token);
	if (open == '[' && token == TOKEN_OPEN)
		return "[ ] takes no groups or lists; ( ) does";
	*state = (enum grammar_state)next;
	return NULL;
}

enum grammar_state grammar_inside(char open)
{
	return open == '{' ? EXPECT_NAME : EXPECT_MEMBER;
}

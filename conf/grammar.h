/*
 * Which token may follow which, in a group and in a list: what libconfig's own grammar says, with the place and the
 * words for each mistake, and so that one file's mistake does not hide another's.
 */
#pragma once

enum grammar_token {
	TOKEN_NAME, TOKEN_EQUALS, TOKEN_STRING, TOKEN_SCALAR, TOKEN_OPEN, TOKEN_CLOSE, TOKEN_SEMICOLON, TOKEN_COMMA,
	TOKEN_KINDS
};

/* What comes next.  Nought is where a file begins. */
enum grammar_state {
	EXPECT_NAME,
	EXPECT_EQUALS,
	EXPECT_VALUE,		/* after "=", or after "," in a list */
	EXPECT_MEMBER,		/* the first of a list, or its end */
	AFTER_STRING,		/* which another one continues */
	AFTER_VALUE,
	EXPECT_ANY,		/* something before could not be read */
	GRAMMAR_STATES
};

/* open: the bracket that the token is in, '\0' at the top.  Returns NULL and goes on, or what is wrong. */
const char *grammar_next(char open, enum grammar_token, enum grammar_state *state);
/* Where a bracket leads to. */
enum grammar_state grammar_inside(char open);

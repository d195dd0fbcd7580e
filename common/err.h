/*
 * One error, in words.  A library fills it and returns -1 (with errno where that says more); a program prints it.
 * The caller owns the struct; nothing is allocated.
 */
#pragma once

struct err {
	char text[1024];	/* always terminated, no trailing newline */
};

/* Sets *e (NULL is fine), in printf's manner; %m is errno's text.  Returns -1, so that "return err_set(...)" reads well. */
int err_set(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Puts "words: " before what is there. */
int err_prepend(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

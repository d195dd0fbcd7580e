/* Reading documents of others: see json.h. */
#include "ctl/json.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdint.h>
#include <string.h>

json_t *json_at(const json_t *j, ...)
{
	const char *key;
	va_list ap;

	va_start(ap, j);
	while (j != NULL && (key = va_arg(ap, const char *)) != NULL)
		j = json_object_get(j, key);
	va_end(ap);
	return (json_t *)(uintptr_t)j;
}

const char *json_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "";
}

json_int_t json_number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static void camel(const char *key, char *to, size_t room)
{
	size_t n = 0;

	for (; *key != '\0' && n + 1 < room; key++) {
		if (key[0] == '_' && islower((unsigned char)key[1]) && n > 0)
			to[n++] = (char)toupper((unsigned char)*++key);
		else
			to[n++] = *key;
	}
	to[n] = '\0';
}

static json_t *camel_object(const json_t *j)
{
	json_t *copy = json_object(), *value;
	const char *key;
	char name[256];

	json_object_foreach((json_t *)(uintptr_t)j, key, value) {
		camel(key, name, sizeof(name));
		json_object_set_new(copy, name, json_camel(value));
	}
	return copy;
}

json_t *json_camel(const json_t *j)
{
	json_t *copy, *value;
	size_t i;

	if (json_is_object(j))
		return camel_object(j);
	if (!json_is_array(j))
		return json_deep_copy(j);
	copy = json_array();
	json_array_foreach(j, i, value)
		json_array_append_new(copy, json_camel(value));
	return copy;
}

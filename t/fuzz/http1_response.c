/* Any bytes from an origin.  The first byte chooses pieces, the second what was asked and the limits. */
#include "t/fuzz/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct http1_asked asked[] = {
		{ METHOD_GET, false }, { METHOD_HEAD, false }, { METHOD_CONNECT, false }, { METHOD_GET, true },
	};
	struct feed f = { .limits = feed_limits };

	if (size < 2)
		return 0;
	f.asked = asked[data[1] % 4];
	if (data[1] / 4 % 4 == 0)
		f.limits = (struct http1_limits){ .line_bytes = 32, .head_bytes = 128, .fields = 4, .ext_chunk = 8, .ext_body = 16 };
	fuzz_http1(&f, data[0], (const char *)data + 2, size - 2);
	return 0;
}

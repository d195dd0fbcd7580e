/* Any bytes from a client.  The first byte chooses pieces and limits. */
#include "t/fuzz/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct feed f = { .request = true, .limits = feed_limits };

	if (size == 0)
		return 0;
	if (data[0] % 4 == 0)
		f.limits = (struct http1_limits){ .line_bytes = 32, .head_bytes = 128, .fields = 4, .ext_chunk = 8, .ext_body = 16 };
	fuzz_http1(&f, data[0], (const char *)data + 1, size - 1);
	return 0;
}

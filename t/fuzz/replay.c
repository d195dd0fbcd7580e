/* Feeds each file named to a fuzz target, where there is no libFuzzer: `make check` replays the corpus with it. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int argc, char **argv)
{
	static uint8_t bytes[1 << 20];

	for (int i = 1; i < argc; i++) {
		FILE *f = fopen(argv[i], "rb");
		size_t size;

		if (f == NULL) {
			perror(argv[i]);
			return 1;
		}
		size = fread(bytes, 1, sizeof(bytes), f);
		fclose(f);
		fprintf(stderr, "%s: %zu bytes\n", argv[i], size);
		LLVMFuzzerTestOneInput(bytes, size);
	}
	return argc > 1 ? 0 : 1;
}

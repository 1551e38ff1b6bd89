/* Demangles the names that stand on its standard input, a line each. */
#include <stdio.h>

#include "inspect.h"

int main(void)
{
	char line[4096];

	while (fgets(line, sizeof line, stdin) != NULL) {
		char name[160]; /* as in a frame */

		line[strcspn(line, "\n")] = 0;
		mg_demangle(line, name, sizeof name);
		puts(name);
	}
	return 0;
}

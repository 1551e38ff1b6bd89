/*
 * The header as C++ sees it: a destructor that ends the region, and an overrun of an object's
 * method, named as C++ names it.
 */
#include "millrace-guard.h"

#include <cstdio>
#include <sys/mman.h>

namespace app {

class Table {
public:
	Table(void *memory, size_t bytes) : cells(static_cast<int *>(memory))
	{
		mg_options options = {};
		options.label = "table";
		options.mode = MG_REPORT;
		mg_extent extent = {};
		region = mg_region(memory, bytes, &options, &extent);
		mg_protect(region, 0, bytes, 3);
	}
	~Table() { mg_region_end(region); }
	__attribute__((noinline)) void set(size_t index, int value)
	{
		cells[index] = value; // the culprit's line
	}
	int region;

private:
	int *cells;
};

}

int main(int count, char **)
{
	void *memory = mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mg_start() < 0 || memory == MAP_FAILED) {
		std::puts(mg_problem());
		return 1;
	}
	{
		app::Table ended(memory, 8192);
		if (ended.region < 0) {
			std::puts(mg_problem());
			return 1;
		}
	}
	*static_cast<int *>(memory) = 1; // unprotected again
	app::Table table(memory, 8192);
	table.set(1024 + count, 42);
	std::puts("not reached");
	return 0;
}

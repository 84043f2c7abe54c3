// operators.cc - each form of new and delete from C++, and what a failing one throws.
// SPDX-License-Identifier: MIT
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

struct alignas(128) wide {
	char bytes[200];
};

static bool handled;

static void handler()
{
	handled = true;
	std::set_new_handler(nullptr);
}

static int failures()
{
	volatile std::size_t huge = (std::size_t)1 << 62;

	std::set_new_handler(handler);
	try {
		delete[] new char[huge];
	} catch (const std::bad_alloc &) {
		return new (std::nothrow) char[huge] || !handled;
	}
	return 1;
}

int main()
{
	std::map<std::string, std::vector<int>> all;
	std::vector<std::thread> threads;

	for (int i = 0; i < 1000; i++)
		all["key" + std::to_string(i)].resize(i);
	for (int t = 0; t < 4; t++)
		threads.emplace_back([] {
			for (int i = 0; i < 1000; i++)
				std::make_unique<wide>()->bytes[0] = 1;
		});
	for (auto &t : threads)
		t.join();
	auto w = std::make_unique<wide[]>(3);
	if ((std::size_t)w.get() % 128)
		return 2;
	return failures();
}

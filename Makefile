# A thin front for Meson; HACKING.md says more. BUILD names the build directory.
BUILD  ?= build
PREFIX ?= /usr/local
JOBS   ?= $(shell nproc 2>/dev/null || echo 2)

.PHONY: all deps demo test bench bench-malloc install format clean

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD) -j $(JOBS)

# Meson does not notice a directory that appears later: a new meson.build configures again.
$(BUILD)/build.ninja: $(wildcard meson.build meson_options.txt */meson.build */*/meson.build) | deps
	@test ! -e $@ || reconfigure=--reconfigure; \
	log=$$(meson setup $$reconfigure $(BUILD) --prefix $(PREFIX) 2>&1) || { echo "$$log"; exit 1; }; \
	touch $@

deps:
	@tools/install-deps build

demo: all
	@tools/install-deps demo
	@BUILD=$(BUILD) examples/demo.sh

test:
	@tools/install-deps build test
	@BUILD=$(BUILD) JOBS=$(JOBS) tools/check

bench: all
	@tools/install-deps build test bench
	@BUILD=$(BUILD) bench/run

bench-malloc: all
	@tools/install-deps build malloc
	@BUILD=$(BUILD) bench/malloc/run

install: all
	@meson configure $(BUILD) -Dprefix=$(PREFIX)
	@ninja -C $(BUILD) -j $(JOBS) >/dev/null
	@DESTDIR=$(DESTDIR) meson install -C $(BUILD) --no-rebuild

format:
	@git ls-files '*.c' '*.h' | xargs clang-format-14 -i

clean:
	@rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-m32

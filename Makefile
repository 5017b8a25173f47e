# SPDX-License-Identifier: Apache-2.0
#
# Short commands.  The build itself is Meson's: see meson.build.

.DEFAULT_GOAL := help
.PHONY: help demo build check check-linux check-javascript check-stock-kvm
.PHONY: bench fuzz asan tsan
.PHONY: format lower install clean

PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60

help:
	@echo 'Glovebox runs scripts you do not trust, sealed, in your own'
	@echo 'process, and hands them data in shared memory, without a copy.'
	@echo
	@echo 'Start here:'
	@echo '  make demo     a sealed Python script works on a camera frame'
	@echo '  make check    build, and run every test'
	@echo
	@echo 'Each command installs the Debian packages that it lacks (with'
	@echo 'sudo when you are not root), and says so before it does.'
	@echo
	@echo 'Working on it:'
	@echo '  make build    only compile; the program is build/glovebox'
	@echo '  make format   give all C files their one look'
	@echo '  make bench    measure calls, payloads and starts'
	@echo '  make asan     tests in C and stories, address and undefined sanitizers'
	@echo '  make tsan     tests in C and stories, thread sanitizer'
	@echo '  make fuzz     each fuzz target for FUZZ_SECONDS=$(FUZZ_SECONDS)'
	@echo '  make check-linux  CPython'\''s own tests in a micro-VM'
	@echo '  make check-javascript  ECMAScript'\''s own tests (60 MB to fetch)'
	@echo '  make check-stock-kvm  the micro-VM on KVM for AMD, in an emulator'
	@echo '  make lower    note that a counted fault has become rarer'
	@echo '  make clean    delete the build folders'
	@echo
	@echo 'Using it:'
	@echo '  make install  to PREFIX=$(PREFIX), or below DESTDIR'
	@echo
	@echo 'Read on in README.md, then HOUSE.md and CONTRIBUTING.md.'

build:
	@tools/setup build
	@tools/build build

demo:
	@tools/setup build demo
	@tools/build build -- product
	@examples/frames/demo.sh

check:
	@tools/setup build check
	@tools/build build
	@tools/suites wasm || true
	@tools/setup browser || true
	@tools/check build

# Where it cannot run it says so, and that is no failure.
check-stock-kvm:
	@tools/setup build
	@tools/build build
	@tools/setup stock-kvm || true
	@tools/stock-kvm build || [ $$? -eq 77 ]

# CPython's own tests: some ten minutes, where make check takes
# those that take seconds.
check-linux:
	@tools/setup build check
	@tools/build build
	@tests/linux/cpython_test.py build/glovebox || [ $$? -eq 77 ]

# ECMAScript's own tests: some four minutes, where make check takes one in ten,
# once they are there.
check-javascript:
	@tools/setup build check
	@tools/build build
	@tools/suites test262
	@GLOVEBOX_LIBEXEC=build/libexec tests/js/test262_test.py \
	    build/tests/js/test262 build/suites/test262

bench:
	@tools/setup build bench
	@tools/build build-release --buildtype=release --prefix=$(PREFIX)
	@build-release/glovebox bench

SANITIZED = --suite unit --suite story --suite process --suite microvm \
    --timeout-multiplier 5

# One sanitizer sees what the other hides; they cannot share a build.
asan:
	@tools/setup build check
	@tools/build build-asan -Db_sanitize=address,undefined
	@tools/check build-asan $(SANITIZED)

# On some kernels it finds no room for its shadow among random addresses.
tsan:
	@tools/setup build check
	@tools/build build-tsan -Db_sanitize=thread
	@$$(setarch -R true 2>/dev/null && echo setarch -R) \
	    tools/check build-tsan $(SANITIZED)

fuzz:
	@tools/setup build fuzz
	@touch tests/fuzz/meson.build # look for new targets
	@CC=clang-19 CXX=clang++-19 tools/build build-fuzz -Dfuzz=true -Dwerror=false \
	    -- fuzz-targets
	@tools/fuzz build-fuzz $(FUZZ_SECONDS)

format:
	@tools/setup check
	@tools/format.py --write

lower:
	@tools/tidy.py --lower
	@tools/copyhound.py --lower

install:
	@tools/setup build
	@tools/build build-release --buildtype=release --prefix=$(PREFIX)
	@tools/install build-release $(PREFIX)

clean:
	rm -rf build build-asan build-tsan build-fuzz build-release

;; SPDX-License-Identifier: Apache-2.0
;; Names that end a comment of C, and go on as a program.
(module
  (import "*/e\n#define X 1\n#error X\nvoid q(){}/*" "f\\*/\nint evil;" (func $f))
  (func $g*/evil (export "*/\n#error compiled\nint pwn(void){return 1;}\n/*")
    call $f))

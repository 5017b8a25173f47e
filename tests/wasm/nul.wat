;; SPDX-License-Identifier: Apache-2.0
;; Two names, of which C would see the same.
(module
  (func (export "a\00b"))
  (func (export "a") (result i32) (i32.const 7)))

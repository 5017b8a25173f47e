;; SPDX-License-Identifier: Apache-2.0
;; Functions of ours in the engine's table (engine/table.c says which place is
;; which, for the native engine).
(module
  (import "engine" "table" (table 493 funcref))
  (import "a" "on_release" (func $release (param i32 i32 i32)))
  (import "a" "on_rejection" (func $reject (param i32 i64 i64 i32 i32)))
  (elem (i32.const 46) $release)
  (elem (i32.const 492) $reject))

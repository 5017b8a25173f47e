;; SPDX-License-Identifier: Apache-2.0
(module (import "wasi_snapshot_preview1" "fd_close" (func (param i64) (result i32))))

;; SPDX-License-Identifier: Apache-2.0
(module (import "env" "missing" (func (param i32))))

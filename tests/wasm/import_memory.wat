;; SPDX-License-Identifier: Apache-2.0
(module (import "env" "mem" (memory 1)))

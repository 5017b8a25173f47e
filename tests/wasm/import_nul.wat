;; SPDX-License-Identifier: Apache-2.0
(module (import "glovebox" "ring\00x" (func)))

;; SPDX-License-Identifier: Apache-2.0
;; A start function that does not end.
(module
  (func $spin (loop (br 0)))
  (start $spin))

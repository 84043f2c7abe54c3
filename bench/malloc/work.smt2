; work.smt2 - a bit-vector puzzle: factors of a product, and a few pigeons.
; SPDX-License-Identifier: MIT
(set-logic QF_BV)
(declare-const a (_ BitVec 40))
(declare-const b (_ BitVec 40))
(assert (= (bvmul a b) #x003b9aca07))
(assert (bvult a #x0000010000))
(assert (bvult b #x0000010000))
(assert (bvugt a #x0000000001))
(assert (bvugt b #x0000000001))
(check-sat)

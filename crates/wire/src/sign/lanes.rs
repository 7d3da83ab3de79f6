//! SHA-256 of eight messages at once: one step of each, side by side, for processors without instructions for SHA.
//!
//! A webhook's requests are signed many at a time, and one message after the other leaves most of a wide processor idle: a
//! block takes it 340 ns so, and 37 to 50 as one of eight (docs/performance.md). Written so that the compiler makes one
//! instruction of each step of all lanes: the loop over lanes is the innermost, and all in it is spelled out.
//! Source: FIPS 180-4, 6.2. Read `batch.rs` next.

#![expect(clippy::needless_range_loop, reason = "with iterators the compiler does one lane after the other")]

use multiversion::multiversion;

/// Messages at once.
pub(super) const LANES: usize = 8;

/// A word of each message.
pub(super) type Word = [u32; LANES];

/// FIPS 180-4, 4.2.2, in the four rows of sixteen that a block is worked through in.
const K: [[u32; 16]; 4] = [
    [
        0x428a_2f98,
        0x7137_4491,
        0xb5c0_fbcf,
        0xe9b5_dba5,
        0x3956_c25b,
        0x59f1_11f1,
        0x923f_82a4,
        0xab1c_5ed5,
        0xd807_aa98,
        0x1283_5b01,
        0x2431_85be,
        0x550c_7dc3,
        0x72be_5d74,
        0x80de_b1fe,
        0x9bdc_06a7,
        0xc19b_f174,
    ],
    [
        0xe49b_69c1,
        0xefbe_4786,
        0x0fc1_9dc6,
        0x240c_a1cc,
        0x2de9_2c6f,
        0x4a74_84aa,
        0x5cb0_a9dc,
        0x76f9_88da,
        0x983e_5152,
        0xa831_c66d,
        0xb003_27c8,
        0xbf59_7fc7,
        0xc6e0_0bf3,
        0xd5a7_9147,
        0x06ca_6351,
        0x1429_2967,
    ],
    [
        0x27b7_0a85,
        0x2e1b_2138,
        0x4d2c_6dfc,
        0x5338_0d13,
        0x650a_7354,
        0x766a_0abb,
        0x81c2_c92e,
        0x9272_2c85,
        0xa2bf_e8a1,
        0xa81a_664b,
        0xc24b_8b70,
        0xc76c_51a3,
        0xd192_e819,
        0xd699_0624,
        0xf40e_3585,
        0x106a_a070,
    ],
    [
        0x19a4_c116,
        0x1e37_6c08,
        0x2748_774c,
        0x34b0_bcb5,
        0x391c_0cb3,
        0x4ed8_aa4a,
        0x5b9c_ca4f,
        0x682e_6ff3,
        0x748f_82ee,
        0x78a5_636f,
        0x84c8_7814,
        0x8cc7_0208,
        0x90be_fffa,
        0xa450_6ceb,
        0xbef9_a3f7,
        0xc671_78f2,
    ],
];

/// Whether this processor gets on sooner with eight at once than one by one.
pub(super) fn pay() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::arch::is_x86_feature_detected!("avx2") && !std::arch::is_x86_feature_detected!("sha")
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// One round for one lane; the letters are the standard's.
macro_rules! round {
    ([$a:ident, $b:ident, $c:ident, $d:ident, $e:ident, $f:ident, $g:ident, $h:ident], $k:expr, $word:expr) => {
        let sum = $e.rotate_right(6) ^ $e.rotate_right(11) ^ $e.rotate_right(25);
        let choice = ($e & $f) ^ (!$e & $g);
        let first = $h.wrapping_add(sum).wrapping_add(choice).wrapping_add($k).wrapping_add($word);
        let sum = $a.rotate_right(2) ^ $a.rotate_right(13) ^ $a.rotate_right(22);
        let majority = ($a & $b) ^ ($a & $c) ^ ($b & $c);
        $d = $d.wrapping_add(first);
        $h = first.wrapping_add(sum).wrapping_add(majority);
    };
}

/// The word that takes the place of `$at`, sixteen further on.
macro_rules! widen {
    ($words:ident, $lane:ident, $at:literal) => {
        let (near, far) = ($words[($at + 1) % 16][$lane], $words[($at + 14) % 16][$lane]);
        let near = near.rotate_right(7) ^ near.rotate_right(18) ^ (near >> 3);
        let far = far.rotate_right(17) ^ far.rotate_right(19) ^ (far >> 10);
        let between = $words[($at + 9) % 16][$lane];
        $words[$at][$lane] = $words[$at][$lane].wrapping_add(near).wrapping_add(between).wrapping_add(far);
    };
}

/// Works one block of each message into its state. `words` are the blocks' sixteen words; what is in them afterwards is
/// of no use.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq", "x86_64+avx2"))]
pub(super) fn compress(states: &mut [Word; 8], words: &mut [Word; 16]) {
    let mut state = *states;
    for (row, k) in K.iter().enumerate() {
        if row > 0 {
            for lane in 0..LANES {
                widen!(words, lane, 0);
                widen!(words, lane, 1);
                widen!(words, lane, 2);
                widen!(words, lane, 3);
                widen!(words, lane, 4);
                widen!(words, lane, 5);
                widen!(words, lane, 6);
                widen!(words, lane, 7);
                widen!(words, lane, 8);
                widen!(words, lane, 9);
                widen!(words, lane, 10);
                widen!(words, lane, 11);
                widen!(words, lane, 12);
                widen!(words, lane, 13);
                widen!(words, lane, 14);
                widen!(words, lane, 15);
            }
        }
        for lane in 0..LANES {
            let (mut a, mut b, mut c, mut d) =
                (state[0][lane], state[1][lane], state[2][lane], state[3][lane]);
            let (mut e, mut f, mut g, mut h) =
                (state[4][lane], state[5][lane], state[6][lane], state[7][lane]);
            round!([a, b, c, d, e, f, g, h], k[0], words[0][lane]);
            round!([h, a, b, c, d, e, f, g], k[1], words[1][lane]);
            round!([g, h, a, b, c, d, e, f], k[2], words[2][lane]);
            round!([f, g, h, a, b, c, d, e], k[3], words[3][lane]);
            round!([e, f, g, h, a, b, c, d], k[4], words[4][lane]);
            round!([d, e, f, g, h, a, b, c], k[5], words[5][lane]);
            round!([c, d, e, f, g, h, a, b], k[6], words[6][lane]);
            round!([b, c, d, e, f, g, h, a], k[7], words[7][lane]);
            round!([a, b, c, d, e, f, g, h], k[8], words[8][lane]);
            round!([h, a, b, c, d, e, f, g], k[9], words[9][lane]);
            round!([g, h, a, b, c, d, e, f], k[10], words[10][lane]);
            round!([f, g, h, a, b, c, d, e], k[11], words[11][lane]);
            round!([e, f, g, h, a, b, c, d], k[12], words[12][lane]);
            round!([d, e, f, g, h, a, b, c], k[13], words[13][lane]);
            round!([c, d, e, f, g, h, a, b], k[14], words[14][lane]);
            round!([b, c, d, e, f, g, h, a], k[15], words[15][lane]);
            (state[0][lane], state[1][lane], state[2][lane], state[3][lane]) = (a, b, c, d);
            (state[4][lane], state[5][lane], state[6][lane], state[7][lane]) = (e, f, g, h);
        }
    }
    for (old, new) in states.iter_mut().zip(state) {
        for (old, new) in old.iter_mut().zip(new) {
            *old = old.wrapping_add(new);
        }
    }
}

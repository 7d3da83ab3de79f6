//! Randomness, as a value that is passed in.
//!
//! It exists so that a simulation can replay a run from one seed. Secrets, trace ids, jitter and the
//! installation's realm come from here and from nowhere else. Read `engine.rs` next.

use rand::Rng as _;

/// Where the engine takes its randomness from. Must be fit for making secrets.
pub trait Rng: Send + Sync + 'static {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);

    /// A number in `0..=max`, evenly spread for what jitter needs.
    fn up_to(&self, max: u64) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        let wide = u128::from(u64::from_le_bytes(bytes)) * (u128::from(max) + 1);
        u64::try_from(wide >> 64).unwrap_or(max)
    }
}

/// The operating system's randomness, stretched by a cryptographic generator per thread.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRng;

impl Rng for SystemRng {
    #[expect(clippy::disallowed_methods, reason = "this is the Rng that all others use")]
    fn fill(&self, bytes: &mut [u8]) {
        rand::rng().fill_bytes(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(u8);

    impl Rng for Fixed {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    #[test]
    fn a_number_stays_within_its_bounds() {
        assert_eq!(Fixed(0).up_to(10), 0);
        assert_eq!(Fixed(255).up_to(10), 10);
        assert_eq!(Fixed(255).up_to(u64::MAX), u64::MAX);
        assert_eq!(Fixed(128).up_to(0), 0);
    }
}

//! What a process has used: processor time and memory, as the kernel counts them.

use std::time::Duration;

use anyhow::Context as _;

/// What a process has used.
#[derive(Clone, Copy, Default)]
pub struct Usage {
    /// Processor time of all its threads, kernel time included.
    pub cpu: Duration,
    /// The most memory that was resident.
    pub resident_bytes_max: u64,
}

impl Usage {
    /// Of the process `pid`.
    pub fn of(pid: u32) -> anyhow::Result<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // After the name, which may hold anything: fields 14 and 15 of proc(5) are in ticks of 10 ms.
        let after = stat.rsplit(") ").next().unwrap_or_default();
        let ticks = |field: usize| after.split(' ').nth(field - 3).and_then(|text| text.parse::<u64>().ok());
        let ticks = ticks(14).context("utime")? + ticks(15).context("stime")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak_kib: u64 =
            peak.and_then(|text| text.split_whitespace().next()?.parse().ok()).context("VmHWM")?;
        Ok(Self { cpu: Duration::from_millis(ticks * 10), resident_bytes_max: peak_kib * 1024 })
    }

    /// Of this process.
    pub fn own() -> anyhow::Result<Self> {
        Self::of(std::process::id())
    }

    /// Processor time since `before`, in microseconds, for each of `count`.
    pub fn cpu_us_each(self, before: Self, count: u64) -> f64 {
        self.cpu.saturating_sub(before.cpu).as_secs_f64() * 1e6 / count.max(1) as f64
    }
}

// row_run: columns of x [groups, rows, channels] cut into runs of consecutive rows, a thread each.
// Needs Params with groups, rows, channels, run (rows of a run, but for the last) and runs, and WG.

// The elements first, first + channels, … before end; their item (group, channel); their place `at` in
// [groups, runs, channels].
struct Run { item: u32, first: u32, end: u32, at: u32, live: bool }

fn run_of(wg: vec3u, grid: vec3u, lane: u32) -> Run {
  let at = flat_group(wg, grid) * WG + lane;
  let block = at / params.channels;
  let channel = at - block * params.channels;
  let group = block / params.runs;
  let row = (block - group * params.runs) * params.run;
  let origin = group * params.rows * params.channels + channel;
  return Run(group * params.channels + channel, origin + row * params.channels,
             origin + min(row + params.run, params.rows) * params.channels, at, group < params.groups);
}

fn items() -> u32 { return params.groups * params.channels; }

// where [groups, runs, channels] holds an item's part of a run
fn part_at(item: u32, run: u32) -> u32 {
  let group = item / params.channels;
  return (group * params.runs + run) * params.channels + item - group * params.channels;
}

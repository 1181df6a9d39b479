// How a run's progress reads: one line, for a terminal's bottom or for a log.
import type { Progress } from './loop.ts';
import type { Summary } from './monitor.ts';

/** 75 s as `1:15`, hours as `2:03:15`. */
function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?';
  const whole = Math.round(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value: number): string => String(value).padStart(2, '0');
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

function progressBar(share: number, width = 20): string {
  const eighths = Math.round(Math.max(0, Math.min(1, share)) * width * 8);
  const full = Math.floor(eighths / 8);
  const part = eighths % 8 === 0 ? '' : ' ▏▎▍▌▋▊▉'[eighths % 8]!;
  return `▕${('█'.repeat(full) + part).padEnd(width)}▏`;
}

/** Step, losses, rate, speed, time left of epoch and run, share of the time spent waiting for data. */
export function formatSummary(
  summary: Summary, { stepsPerEpoch, totalSteps }: Progress,
  { bar, epochs }: { bar: boolean; epochs: number },
): string {
  const { step, epoch, lr, loss: { total, ...tasks }, images_per_second: speed, data_wait: wait } = summary;
  const inEpoch = step - epoch * stepsPerEpoch;
  const list = (values: Readonly<Record<string, number>>): string =>
    Object.entries(values).map(([task, value]) => `${task} ${value.toFixed(3)}`).join(', ');
  const { loss_scale: scale, left_out: left = 0 } = summary;
  const scaled = scale === undefined ? [] : [`scale ${scale}${left > 0 ? ` (${left} left out)` : ''}`];
  const secondsLeft = (steps: number): number => steps * summary.seconds_per_step;
  return [
    `epoch ${epoch + 1}/${epochs}`,
    ...bar ? [progressBar(inEpoch / stepsPerEpoch)] : [],
    `step ${inEpoch}/${stepsPerEpoch}`,
    `loss ${total!.toFixed(3)} (${list(tasks)})`,
    ...summary.weights ? [`weights ${list(summary.weights)}`] : [],
    `lr ${lr.toExponential(2)}`,
    ...scaled,
    `${speed.toFixed(speed < 10 ? 2 : 1)} images/s`,
    `eta ${duration(secondsLeft(stepsPerEpoch - inEpoch))} (run ${duration(secondsLeft(totalSteps - step))})`,
    `data ${(100 * wait).toFixed(0)} %`,
  ].join('  ');
}

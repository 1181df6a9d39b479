import type { Gpu } from './device.ts';
import { GpuError } from './errors.ts';
import type { Dispatch } from './program.ts';
import { differencesIn, isSame, toleranceOf, trialKey, type RunOnce, type Trial } from './trial.ts';
import type { Verdict, Verdicts } from './verdicts.ts';

// of so many a person is told beforehand, who would else wait without knowing why
const MANY = 20;
// trials in a program: few, as a driver may not suffer long ones
const TOGETHER = 4;

/**
 * Lets fast launches into a program only once they agreed with their plain form on this device, at their
 * shape. `compile` asks it: what a trace chose on trust is tried before the program is built, and the program
 * traced anew where that failed.
 */
export class Guard {
  readonly #verdicts: Verdicts;
  readonly #say: (line: string) => void;
  readonly #warn: (line: string) => void;
  readonly #untried = new Map<string, Trial>();
  readonly #warned = new Set<string>();

  /** @param say is told what was checked, `warn` what was found wrong */
  constructor(verdicts: Verdicts, say: (line: string) => void, warn: (line: string) => void) {
    this.#verdicts = verdicts;
    this.#say = say;
    this.#warn = warn;
  }

  /** The fast launches, or, where they were found wrong, the plain ones. */
  choose(given: Trial): readonly Dispatch[] {
    if (isSame(given)) return given.plain;
    const key = trialKey(given);
    const verdict = this.#verdicts.get(key);
    if (!verdict) {
      this.#untried.set(key, given);
      return given.fast;
    }
    if (verdict.agrees) return given.fast;
    if (!this.#warned.has(key)) this.#warn(`${verdict.says}: its plain form is used instead`);
    this.#warned.add(key);
    return given.plain;
  }

  /** What was chosen on trust since the last call: the caller has it tried before that runs. */
  takeUntried(): Untried {
    const untried = new Map(this.#untried);
    this.#untried.clear();
    return untried;
  }

  /** @returns whether all of it agrees, so that what was traced may run */
  async settle(gpu: Gpu, untried: Untried, runOnce: RunOnce): Promise<boolean> {
    if (untried.size === 0) return true;
    const start = performance.now();
    if (untried.size >= MANY) this.#say(`${untried.size} fast launches are tried, once on this device`);
    const measured = new Map<string, Verdict>();
    let agreed = 0;
    const all = [...untried];
    for (let at = 0; at < all.length; at += TOGETHER) {
      const some = all.slice(at, at + TOGETHER);
      const tried = await verdictsOn(gpu, some.map(([, trial]) => trial), runOnce);
      for (const [i, { measured: isMeasured, ...verdict }] of tried.entries()) {
        const key = some[i]![0];
        this.#verdicts.add(key, verdict);
        if (isMeasured) measured.set(key, verdict);
        agreed += Number(verdict.agrees);
      }
    }
    this.#verdicts.keep(measured);
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    this.#say(`${agreed} of ${untried.size} fast launches agree with their plain forms, in ${seconds} s`);
    return agreed === untried.size;
  }
}

/** Trials by their keys. */
export type Untried = ReadonlyMap<string, Trial>;

// what could not be tried, for want of memory for example, may be another time
type Tried = Verdict & { readonly measured: boolean };

async function verdictsOn(gpu: Gpu, trials: readonly Trial[], runOnce: RunOnce): Promise<Tried[]> {
  try {
    const errors = await differencesIn(gpu, trials, runOnce);
    return trials.map((trial, i) => verdictOn(trial, errors[i]!));
  } catch (error) {
    gpu.check();                                 // a lost device is no verdict
    if (!(error instanceof GpuError)) throw error;
    if (trials.length === 1) return [noVerdictOn(trials[0]!, error)];
    const tried: Tried[] = [];                   // one by one, to find which of them it is
    for (const trial of trials) tried.push(...await verdictsOn(gpu, [trial], runOnce));
    return tried;
  }
}

function verdictOn(trial: Trial, error: number): Tried {
  const most = toleranceOf(trial);
  const says = `${nameOf(trial)} differs by ${error.toExponential(1)}, ${most.toExponential()} at most`;
  return { agrees: error <= most, says, measured: true };
}

const noVerdictOn = (trial: Trial, { message }: GpuError): Tried =>
  ({ agrees: false, says: `${nameOf(trial)} cannot be checked (${message})`, measured: false });

function nameOf({ what, fast }: Trial): string {
  const kernels = [...new Set(fast.map(({ variant, entry }) => `${variant}/${entry}`))].join(', ');
  return `${what} by ${kernels}`;
}

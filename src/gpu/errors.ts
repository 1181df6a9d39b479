/** Anything that the device, its driver or a kernel did wrong: what, where, and what to do about it. */
export class GpuError extends Error {
  override readonly name = 'GpuError';
}

/** What Dawn says at length, in one sentence: its first line, without the stack of calls that led there. */
export function firstSentence(message: string): string {
  return message.trim().split('\n')[0]!.replace(/^Warning: /, '').replace(/\.$/, '');
}

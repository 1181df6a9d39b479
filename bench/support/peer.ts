import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Sample, Variant } from './measure.ts';

/** A program in a process of its own that answers each line on its input with a line of JSON. */
export type Peer = {
  /** Its first line. */
  readonly about: Readonly<Record<string, unknown>>;
  ask(line: string): Promise<Record<string, unknown>>;
  end(): void;
};

/** @throws Error with what the process said where it ends before it answers */
export async function startPeer(
  command: string, args: readonly string[], env: Readonly<Record<string, string>> = {},
): Promise<Peer> {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
  const answers = answersOf(child, `${command} ${args[0] ?? ''}`);
  const about = await answers();
  return {
    about,
    ask(line) {
      child.stdin!.write(`${line}\n`);
      return answers();
    },
    end: () => child.stdin!.end(),
  };
}

type Answer = Record<string, unknown>;

function answersOf(child: ChildProcess, name: string): () => Promise<Answer> {
  const waiting: { resolve: (answer: Answer) => void; reject: (error: Error) => void }[] = [];
  const early: Answer[] = [];
  let ended: Error | null = null;
  let said = '';
  child.stderr!.on('data', (chunk: Buffer) => { said = (said + chunk.toString()).slice(-2000); });
  createInterface({ input: child.stdout! }).on('line', (line) => {
    if (!line.startsWith('{')) return;
    const answer = JSON.parse(line) as Answer;
    const next = waiting.shift();
    if (next) next.resolve(answer);
    else early.push(answer);
  });
  const fail = (error: Error): void => {
    ended = error;
    for (const { reject } of waiting.splice(0)) reject(error);
  };
  child.on('error', (error) => fail(new Error(`cannot start "${name}": ${error.message}`)));
  child.on('exit', (code) => {
    const why = said.split('\n').find((line) => /Error/.test(line)) ?? said.trim();
    fail(new Error(`"${name}" ended with ${code}: ${why}`));
  });
  return () => new Promise((resolve, reject) => {
    const answer = early.shift();
    if (answer) resolve(answer);
    else if (ended) reject(ended);
    else waiting.push({ resolve, reject });
  });
}

/** Times what a peer does when it is asked `line`: it answers with wallMs and perhaps cpuMs. */
export function peerVariant(name: string, peer: Peer, line = ''): Variant {
  return {
    name,
    async sample(times) {
      let total: Sample = { wallMs: 0, cpuMs: 0 };
      for (let i = 0; i < times; i++) {
        const { wallMs, cpuMs = null } = await peer.ask(line) as Sample;
        total = {
          wallMs: total.wallMs + wallMs / times,
          cpuMs: total.cpuMs === null || cpuMs === null ? null : total.cpuMs + cpuMs / times,
        };
      }
      return total;
    },
  };
}

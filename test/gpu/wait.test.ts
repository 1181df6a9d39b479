import { setTimeout as after } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { settled } from '../../src/gpu/wait.ts';

test('settled() hands on what a promise becomes', async () => {
  expect(await settled(after(5, 'value'))).toBe('value');
  await expect(settled(after(5).then(() => { throw new Error('thrown'); }))).rejects.toThrow('thrown');
});

test('settled() remembers what a wait took, and is not fooled by a longer one', async () => {
  const habit = { ms: 60_000 };
  await settled(after(20), habit);
  expect(habit.ms).toBeGreaterThan(15);
  expect(habit.ms).toBeLessThan(5000);
});

test('settled() sleeps no longer for many promises than for one', async () => {
  const startMs = performance.now();
  await Promise.all(Array.from({ length: 1000 }, () => settled(after(30))));
  for (let i = 0; i < 200; i++) await settled(Promise.resolve());
  expect(performance.now() - startMs).toBeLessThan(400);
});

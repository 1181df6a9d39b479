import { expect, test } from 'vitest';
import { formatParams, paramsReport } from '../../src/train/params_report.ts';
import { releasedSpec } from '../support/released.ts';

test('formatParams() prints the counts of the release, parts, tasks and arithmetic', () => {
  const lines = formatParams(paramsReport(releasedSpec('mtlora_tiny_448_r64_scale4_pertask'))).split('\n');
  expect(lines[0]).toBe('trainable 8,344,634 of 34,262,906 (24.35 %)');
  expect(lines[1]).toBe('low-rank 4,798,464  decoder 1,946,624  other 1,599,546');
  expect(lines).toContain('position tables        23,322     23,322       12');
  expect(lines).toContain('human_parts    69,120      183,168  302,407');
  expect(lines).toContain('never updated (no loss depends on them): 245,760 in 2 tensors, '
    + 'such as backbone.layers.3.blocks.1.mlp.fc2.lora_shared_A');
  expect(lines.at(-1)).toBe('total                          31.008');
});

test('formatParams() keeps quiet about low-rank parts of plain Swin', () => {
  const text = formatParams(paramsReport(releasedSpec('swin_tiny_patch4_window7_448')));
  expect(text).toContain('trainable 29,464,442 of 29,464,442 (100.00 %)');
  expect(text).not.toMatch(/never updated|shared low-rank +\d+,/);
});

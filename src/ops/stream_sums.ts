import { streamSumsKey, streamSumsPanel } from '../../kernels/stream_sums_panel.ts';
import type { Tensor } from '../autograd/tensor.ts';
import { dispatch, tracing } from '../gpu/program.ts';
import { kernelForm } from './kernel_form.ts';
import { gemm, type Gemm } from './matmul.ts';
import { rowTiles } from './matmul_panel.ts';
import { sumStreams, type Job } from './mtlora_branches.ts';

/**
 * Σ_g dy[g] and the tasks' products with their B, of one task or more, in one pass over dy: a body that does
 * the same one after the other in other forms than panels; null where the tasks' branches do not suit that.
 *
 * @param products those of `projectBack`
 */
export function sumsAndProducts(
  job: Job, products: readonly Gemm[], { dy, total }: Record<'dy' | 'total', Tensor>,
): { body: () => void; rest: readonly Gemm[] } | null {
  const { gpu } = tracing('mtlora_linear');
  const { m, n, branches, rank: row } = job;
  const tasks = branches.length - 1;
  const lanes = gpu.subgroupSize;
  const { at, rank } = branches[1]!;
  const own = products.find(({ y, batch }) => y.at === at && batch === tasks);
  if (!own || n % 4 !== 0) return null;
  if ([at, rank, row].some((value) => value % 4 !== 0) || tasks * rank > 4 * lanes) return null;

  const body = (): void => {
    if (kernelForm(gpu) !== 'panel') {
      sumStreams(job, dy, total);
      gemm(own);
      return;
    }
    const form = { lanes, tasks, rank };
    const rows = Math.ceil(m / rowTiles(m, 1));
    dispatch('stream_sums_panel/forward', { dy, bt: own.b.tensor, total, dp: own.y.tensor }, {
      generated: { key: streamSumsKey(form), code: () => streamSumsPanel(form) },
      workgroups: Math.ceil(m / rows), flops: (tasks + 1) * m * n + 2 * m * n * tasks * rank,
      params: { m, n, dp_at: at, dp_row: row, bt_at: at * n, scale: own.scale ?? 1, rows },
    });
  };
  return { body, rest: products.filter((product) => product !== own) };
}

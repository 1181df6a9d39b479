// Says on one line of JSON which WebGPU adapter this process gets; `null` for none. A driver that
// crashes takes this process with it, and not the one that asked.
const { create } = await import('webgpu').catch((error) => {
  process.stdout.write(`${JSON.stringify({ error: error.message.split('\n')[0] })}\n`);
  process.exit(0);
});

const gpu = create([]);      // must outlive the adapter: Dawn's instance is collected with it
const adapter = await gpu.requestAdapter();
const info = adapter && {
  name: adapter.info.description || adapter.info.device || adapter.info.vendor,
  software: adapter.info.isFallbackAdapter,
};
process.stdout.write(`${JSON.stringify(info)}\n`);
process.exit(0);

import { listAdapters, openGpu } from '../../gpu/device.ts';
import type { Register } from './command.ts';

export const register: Register = (program, terminal) => {
  program.command('devices')
    .description('List the adapters that --device chooses from')
    .action(async () => {
      const adapters = await listAdapters();
      if (adapters.length === 0) await openGpu();   // tries the cached software driver, or says what to install
      adapters.forEach(({ name, vendor, driver, software }, i) => {
        const kind = software ? '  (software)' : '';
        terminal.say(`${i}: ${name}  ${[vendor, driver].filter(Boolean).join(', ')}${kind}`);
      });
    });
};

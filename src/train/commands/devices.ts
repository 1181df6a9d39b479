import { listAdapters } from '../../gpu/device.ts';
import type { Register } from './command.ts';

export const register: Register = (program, terminal) => {
  program.command('devices')
    .description('List the adapters that --device chooses from')
    .action(async () => {
      (await listAdapters()).forEach(({ name, vendor, driver, software }, i) => {
        const kind = software ? '  (software)' : '';
        terminal.say(`${i}: ${name}  ${[vendor, driver].filter(Boolean).join(', ')}${kind}`);
      });
    });
};

// `npm run docs`: writes the pages that are made of the code.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { configPage } from './config_page.ts';

writeFileSync(join(import.meta.dirname, '../docs/configuration.md'), configPage());

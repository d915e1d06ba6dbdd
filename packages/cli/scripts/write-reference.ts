import { readFileSync, writeFileSync } from 'node:fs';
import { commands } from '@countersign/cli';
import { LIMITS } from '@countersign/enforcement';
import { jsonSchemas } from '@countersign/policy';
import { commandsPage } from './commands-page.ts';
import { limitsPage } from './limits-page.ts';
import { yamlPage } from './yaml-page.ts';

/** Writes the pages of `docs/reference` that are made; run after changing a command or a shape. */
const reference = new URL('../../../docs/reference/', import.meta.url);
writeFileSync(new URL('commands.md', reference), commandsPage(commands));
writeFileSync(new URL('yaml.md', reference), yamlPage(jsonSchemas()));
const limits = readFileSync(new URL('../../enforcement/src/limits.ts', import.meta.url), 'utf8');
writeFileSync(new URL('limits.md', reference), limitsPage(LIMITS, limits));

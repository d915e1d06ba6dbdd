import { writeFileSync } from 'node:fs';
import { commands } from '@countersign/cli';
import { jsonSchemas } from '@countersign/policy';
import { commandsPage } from './commands-page.ts';
import { yamlPage } from './yaml-page.ts';

/** Writes the pages of `docs/reference` that are made; run after changing a command or a shape. */
const reference = new URL('../../../docs/reference/', import.meta.url);
writeFileSync(new URL('commands.md', reference), commandsPage(commands));
writeFileSync(new URL('yaml.md', reference), yamlPage(jsonSchemas()));

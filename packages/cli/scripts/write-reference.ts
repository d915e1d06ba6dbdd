import { readFileSync, writeFileSync } from 'node:fs';
import { commands } from '@countersign/cli';
import { jsonSchemas } from '@countersign/policy';
import { allBounds } from './bounds.ts';
import { commandsPage } from './commands-page.ts';
import { limitsPage } from './limits-page.ts';
import { yamlPage } from './yaml-page.ts';

/** Writes the pages of `docs/reference` that are made; run after changing a command or a shape. */
const reference = new URL('../../../docs/reference/', import.meta.url);
writeFileSync(new URL('commands.md', reference), commandsPage(commands));
writeFileSync(new URL('yaml.md', reference), yamlPage(jsonSchemas()));
const packages = new URL('../../', import.meta.url);
const bounds = allBounds((path) => readFileSync(new URL(path, packages), 'utf8'));
writeFileSync(new URL('limits.md', reference), limitsPage(bounds));

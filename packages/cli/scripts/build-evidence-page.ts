import { mkdir, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { evidencePage } from './evidence-page.ts';

// Into `dist`, which is packed and published; a checkout works without it. With `--record` its hash is put down in the
// documents, where whoever was given a page compares it.
const dist = resolve(import.meta.dirname, '../dist');
const recorded = resolve(import.meta.dirname, '../../../docs/reference/evidence-page.sha256');
const { html, sha256 } = await evidencePage();
await mkdir(dist, { recursive: true });
await writeFile(resolve(dist, 'evidence-page.html'), html);
const line = `${sha256}  evidence-page.html\n`;
if (process.argv.includes('--record')) await writeFile(recorded, line);
process.stdout.write(line);

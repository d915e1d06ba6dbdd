import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { build } from 'rolldown';

const page = resolve(import.meta.dirname, '../page');

/** Node's modules that the verifying code takes, and what stands in their place in a browser. */
const REPLACED = {
  crypto: join(page, 'crypto/node-crypto.ts'),
  'node:crypto': join(page, 'crypto/node-crypto.ts'),
  'node:buffer': join(page, 'buffer.ts'),
};

/** All that may be in the page beside the rooms. What else their modules import must not be needed. */
const PARTS =
  /^(@countersign|@noble|@sigstore\/core|base64-js|buffer|ieee754|structured-headers|zod)(\/|$)/;

/** The page that verifies evidence, as one HTML file, and its SHA-256. The same sources give the same bytes. */
export async function evidencePage(): Promise<{ readonly html: string; readonly sha256: string }> {
  const [template, style, script] = await Promise.all([
    readFile(join(page, 'evidence-page.html'), 'utf8'),
    readFile(join(page, 'evidence-page.css'), 'utf8'),
    bundle(),
  ]);
  const policy = [
    "default-src 'none'",
    `script-src '${sourceHash(script)}'`,
    `style-src '${sourceHash(style)}'`,
    "base-uri 'none'",
    "form-action 'none'",
    // No text ever becomes markup or code: the browser itself sees to it.
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; ');
  const parts: Readonly<Record<string, string>> = { policy, style, script };
  const html = template.replaceAll(/\{\{(\w+)\}\}/g, (_, name: string) => parts[name] ?? '');
  return { html, sha256: createHash('sha256').update(html).digest('hex') };
}

/** CSP Level 3 §2.3.1: over exactly what stands between the tags. */
function sourceHash(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}

/** Readable, not minified: whoever wants to know what the page does can look. */
async function bundle(): Promise<string> {
  const warnings: string[] = [];
  const { output: chunks } = await build({
    input: join(page, 'main.ts'),
    platform: 'browser',
    write: false,
    resolve: { conditionNames: ['@countersign/source', 'import', 'default'], alias: REPLACED },
    // What looks for a global `Buffer` gets the page's own.
    transform: { target: 'es2024', inject: { Buffer: [join(page, 'buffer.ts'), 'Buffer'] } },
    external: (id) => !/^[./]/.test(id) && !PARTS.test(id) && !Object.hasOwn(REPLACED, id),
    treeshake: {
      moduleSideEffects: [
        { external: true, sideEffects: false },
        // The page's own files do something by being there.
        { test: /\/cli\/page\//, sideEffects: true },
      ],
    },
    onLog: (_level, { message }) => warnings.push(message),
    output: {
      format: 'iife',
      minify: false,
      comments: { legal: true, annotation: false, jsdoc: false },
      codeSplitting: false,
      // zod would try whether it may make code of text, which the page's policy reports.
      intro: 'globalThis.__zod_globalConfig = { jitless: true };',
    },
  });
  const [chunk] = chunks;
  if (warnings.length > 0) throw new Error(`cannot build the page: ${warnings.join('; ')}`);
  if (chunks.length !== 1 || chunk?.type !== 'chunk') throw new Error('found more than one file');
  if (chunk.imports.length > 0) {
    throw new Error(`cannot build the page: found that it needs ${chunk.imports.join(', ')}`);
  }
  // It would end the script.
  if (/<\/script|<!--/i.test(chunk.code))
    throw new Error('found the end of a script in the script');
  return chunk.code;
}

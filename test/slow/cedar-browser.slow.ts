import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import * as cedar from '@countersign/cedar';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PageReport } from './support/cedar-page.ts';
import { makeFolder, type TestFolder } from './support/data-folder.ts';
import { type PagePolicies, type PageServer, startPageServer } from './support/page-server.ts';
import { startProcess } from './support/run-process.ts';

const CHROMIUM = '/usr/bin/chromium';
const isThere = existsSync(CHROMIUM) || process.env['CI'] === 'true';
if (!isThere) console.log(`skipped @countersign/cedar in a browser: found no ${CHROMIUM}`);

/** No code but the page's own files, none made of text. */
const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'; base-uri 'none'";
/** The worker alone may compile the `.wasm` file that it fetches. */
const WORKER_POLICY = "default-src 'none'; script-src 'wasm-unsafe-eval'; connect-src 'self'";

describe.skipIf(!isThere)('@countersign/cedar in a browser', () => {
  let folder: TestFolder;
  let server: PageServer;
  let reports = 0;

  beforeAll(async () => {
    folder = makeFolder('cedar-browser');
    const outDir = join(folder.path, 'site');
    await build({
      configFile: false,
      root: import.meta.dirname,
      base: './',
      logLevel: 'warn',
      // With Vite's own choices for all else: so does who uses the room.
      resolve: { conditions: ['@countersign/source'] },
      build: {
        outDir,
        emptyOutDir: true,
        rolldownOptions: {
          input: { page: resolve(import.meta.dirname, 'support/cedar-page.ts') },
          output: { entryFileNames: '[name].js' },
        },
      },
    });
    server = await startPageServer(outDir);
  });

  afterAll(async () => {
    await server?.close();
    await folder.remove();
  });

  /** Opens the page under these policies in a browser of its own, and waits for what it reports. */
  async function openPage(policies: PagePolicies): Promise<PageReport> {
    const { url, report } = server.page(policies);
    reports += 1;
    const browser = startProcess([
      CHROMIUM,
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      // A container's /dev/shm is often too small.
      '--disable-dev-shm-usage',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
      `--user-data-dir=${join(folder.path, `profile-${reports}`)}`,
      url,
    ]);
    try {
      const gone = browser.ended.then(({ code, stderr }) => {
        throw new Error(`the browser ended with ${code} before the page reported: ${stderr}`);
      });
      return JSON.parse(await Promise.race([report, gone]));
    } finally {
      process.kill(-browser.pid, 'SIGKILL');
      await browser.ended;
    }
  }

  let page: Extract<PageReport, { kind: 'done' }>;

  test('loads in a worker, and decides on a page that may evaluate nothing', async () => {
    const report = await openPage({ page: PAGE_POLICY, worker: WORKER_POLICY });
    if (report.kind === 'failed') throw new Error(`the page failed: ${report.message}`);
    page = report;
    expect(page.forbidden).toEqual({ evaluation: true, wasm: true });
    const { view, pay } = page.answers;
    expect(view).toEqual({ decision: 'allow', reasons: ['own'], errors: [], erroredForbids: [] });
    expect(pay).toMatchObject({ decision: 'deny', reasons: ['strong'], errors: [] });
  });

  test('exports there what it exports to Node', () => {
    expect(page.names.toSorted()).toEqual(Object.keys(cedar).sort());
  });

  test('tells where a policy failed', () => {
    const { decision, errors, erroredForbids } = page.answers['overflow'] ?? {};
    expect(decision).toBe('allow');
    expect(erroredForbids).toEqual(['sum']);
    expect(errors).toMatchObject([{ policy: 'sum', message: expect.stringContaining('overflow') }]);
    const { start, end } = errors?.[0]?.span ?? {};
    expect(page.texts['sum']?.slice(start, end)).toBe('context.amount + 1');
  });

  test('keeps integers beyond 2^53 apart', () => {
    expect(page.answers['counted']?.decision).toBe('allow');
    expect(page.answers['miscounted']?.decision).toBe('deny');
  });

  test('explains a denial and finds what turns it', () => {
    const { policies, raise } = page.explanation;
    expect(policies.map(({ id, outcome }) => [id, outcome])).toEqual([
      ['own', 'satisfied'],
      ['strong', 'satisfied'],
    ]);
    const clause = policies[1]?.clauses.find(({ part }) => part === 'unless');
    expect(clause?.reads).toMatchObject([
      { text: 'context has acr', value: true },
      { text: 'context.acr', value: 'pwd' },
    ]);
    expect(raise).toMatchObject({ kind: 'found', changes: [{ attribute: ['acr'], to: 'phr' }] });
  });

  test('evaluates with the resource unknown and makes SQL of what is left', () => {
    expect(page.partial).toMatchObject({
      falsified: ['exact', 'strong', 'sum'],
      residuals: [{ id: 'own', condition: { kind: 'binary', operator: '==' } }],
    });
    expect(page.filter).toMatchObject({
      kind: 'filter',
      sql: expect.stringContaining('"resource"."owner" COLLATE BINARY = ?'),
      parameters: ['alice'],
    });
  });

  test('takes what is at the bounds, refuses what is beyond, and replaces a worker that does not answer', () => {
    const { atBounds, refusals, decisions, threads } = page.hostile;
    expect(atBounds).toEqual(['allow', 'allow', 'allow']);
    expect(refusals).toMatchObject([
      { code: 'ERR_CEDAR_TOO_DEEP', message: expect.stringContaining('nested 65 deep') },
      { code: 'ERR_CEDAR_TOO_DEEP', message: expect.stringContaining('no end within 3000 ms') },
    ]);
    expect(decisions).toEqual(['allow', 'allow']);
    // One that was asked about the last text, one that was asked once more, one for what came after.
    expect(threads).toBe(3);
  });

  test('says that the worker did not start where its policy lets it compile no wasm', async () => {
    expect(await openPage({ page: PAGE_POLICY, worker: PAGE_POLICY })).toEqual({
      kind: 'failed',
      code: 'ERR_CEDAR_WORKER_FAILED',
      message: expect.stringMatching(/^cannot start the parse worker: .*Content Security Policy/),
    });
  });
});

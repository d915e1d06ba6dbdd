import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { evidencePage } from '../../packages/cli/scripts/evidence-page.ts';
import { countersign } from '../../packages/cli/test/test-io.ts';
import { type BrowserPage, isBrowserThere, openBrowserPage } from './support/chromium.ts';
import { makeFolder, type TestFolder } from './support/data-folder.ts';
import { type EvidenceCase, evidenceCases } from './support/evidence-cases.ts';

/** What a file can be good in. */
const PARTS = [
  'assertion',
  'authenticator',
  'certificate',
  'checkpoint',
  'credential',
  'dpop',
  'entry',
  'event',
  'key',
  'outcome',
  'proof',
  'sealed',
  'signature',
  'timestamp',
  'token',
  'witness',
];

type Check = Readonly<Record<'role' | 'part' | 'result' | 'detail', string>>;

/** What cannot be seen, or turns what can, as its escape. */
const escaped = (text: string) =>
  text.replaceAll(/[\p{Cc}\p{Cf}]/gu, (found) => `\\u{${found.codePointAt(0)?.toString(16)}}`);

describe.skipIf(!isBrowserThere('the evidence page'))('the evidence page', () => {
  let folder: TestFolder;
  let browser: BrowserPage;
  let url: string;
  let cases: readonly EvidenceCase[];
  const requests: string[] = [];
  const complaints: string[] = [];

  beforeAll(async () => {
    folder = makeFolder('evidence-page');
    const { html } = await evidencePage();
    const file = join(folder.path, 'evidence-page.html');
    await writeFile(file, html);
    url = pathToFileURL(file).href;
    await mkdir(join(folder.path, 'cases'));
    cases = await evidenceCases(join(folder.path, 'cases'));
    browser = await openBrowserPage(join(folder.path, 'profile'));
    browser.onEvent((method, parameters) => {
      if (method === 'Network.requestWillBeSent') {
        requests.push((parameters['request'] as { url: string }).url);
      } else if (method === 'Log.entryAdded' || method === 'Runtime.exceptionThrown') {
        complaints.push(JSON.stringify(parameters));
      }
    });
    await browser.call('Network.enable');
    await browser.call('Log.enable');
    await browser.call('Runtime.enable');
    await browser.open(url);
    expect(complaints).toEqual([]);
  });

  afterAll(async () => {
    await browser?.close();
    await folder.remove();
  });

  /** What the page shows after these files were chosen, as it would be read from it. */
  async function shown(of: EvidenceCase) {
    await browser.evaluate("document.querySelector('button[type=reset]').click()");
    await browser.evaluate('new Promise((done) => setTimeout(done))');
    const chosen = [
      ['#key-files', of.keys],
      ['#authorities', of.authorities],
      ['#content', of.content === undefined ? [] : [of.content]],
    ] as const;
    for (const [selector, files] of chosen) {
      if (files.length > 0) await browser.choose(selector, files);
    }
    if (of.token !== undefined) {
      await browser.evaluate(
        `{ const field = document.querySelector('#tokens'); field.value = ${JSON.stringify(of.token)};
           field.dispatchEvent(new Event('input')); }`,
      );
    }
    await browser.choose('#file', [of.file]);
    return browser.evaluate<{ verdict: string; story: string; checks: [string, string, string][] }>(
      `new Promise((done) => {
        const keys = ${of.keys.length}, authorities = ${of.authorities.length};
        const end = performance.now() + 10_000;
        const read = () => {
          const field = (selector) => document.querySelector(selector)?.textContent ?? '';
          const isThere = document.querySelectorAll('#keys-found li').length >= keys &&
            document.querySelectorAll('#authorities-found li').length === authorities &&
            (${of.content === undefined} || field('#content-name') !== '') &&
            (field('.verdict .word') !== '' || field('#verdict .wrong') !== '');
          if (!isThere && performance.now() < end) return setTimeout(read, 5);
          done({
            verdict: field('.verdict .word') || field('#verdict .wrong'),
            story: field('.verdict .story'),
            checks: [...document.querySelectorAll('#checks li')].map((item) => [
              item.dataset.part, item.dataset.result, item.querySelector('.detail').textContent,
            ]),
          });
        };
        read();
      })`,
    );
  }

  /** What the command says of the same files. */
  async function told(of: EvidenceCase) {
    const words = [
      ...['ledger', 'verify', '--json', '--evidence', of.file],
      ...of.keys.flatMap((file) => [of.isWitness(file) ? '--witness' : '--vkey', file]),
      ...of.authorities.flatMap((file) => ['--tsa', file]),
      ...(of.content === undefined ? [] : ['--content', of.content]),
      ...(of.tokenFile === undefined ? [] : ['--token', of.tokenFile]),
    ];
    const { code, out, err } = await countersign(words);
    if (out === '') throw new Error(err);
    return { code, ...JSON.parse(out) };
  }

  test('says of every file what the command says, check by check', async () => {
    const words = { good: '✓ Good', bad: '✕ Bad', unknown: '? Unknown' } as const;
    const seen = new Set<string>();
    const differing: unknown[] = [];
    for (const each of cases) {
      const expected = await told(each);
      const page = await shown(each);
      // The page puts the checks of one entry together, and escapes as a terminal's text is.
      const byRole = Map.groupBy(expected.checks as Check[], ({ role = '' }) => role);
      const checks = [...byRole.values()]
        .flat()
        .map(({ part, result, detail }) => [part, result, escaped(detail)]);
      if (each.expected !== undefined && each.expected !== expected.result) {
        differing.push([each.name, each.expected, expected.result]);
      }
      for (const [part, result] of checks) seen.add(`${part} ${result}`);
      const verdict = words[expected.result as keyof typeof words];
      if (page.verdict !== verdict) differing.push([each.name, verdict, page.verdict]);
      const lines = (of: readonly unknown[]) => of.map((check) => JSON.stringify(check));
      const [here, there] = [lines(page.checks), lines(checks)];
      const other = there.flatMap((check, at) => (check === here[at] ? [] : [check, here[at]]));
      if (here.length !== there.length || other.length > 0) differing.push([each.name, ...other]);
    }
    expect(differing).toEqual([]);
    expect([...seen].filter((each) => each.endsWith(' good')).toSorted()).toEqual(
      PARTS.map((part) => `${part} good`),
    );
    console.log(`${cases.length} evidence files, ${seen.size} different findings`);
  });

  test('finds any bit of a file that is flipped, as the command does', async () => {
    const [good] = cases as [EvidenceCase];
    const bytes = await readFile(good.file);
    const seed = Number(process.env['EVIDENCE_SEED'] ?? Date.now() % 100_000);
    console.log(`EVIDENCE_SEED=${seed}`);
    const file = join(folder.path, 'flipped.json');
    for (let number = 0; number < 100; number++) {
      const bit = (seed * 7919 + number * 104_729) % (bytes.length * 8);
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      await writeFile(file, flipped);
      const page = await shown({ ...good, file });
      const command = await told({ ...good, file });
      expect([bit, page.verdict, command.result]).toEqual([bit, '✕ Bad', 'bad']);
      expect(page.checks.length).toBe(command.checks.length);
    }
  });

  test('takes everything that is dropped on it, and sorts it', async () => {
    const of = cases.find(({ name }) => name === 'stamped by stamp-rsa') as EvidenceCase;
    const files = await Promise.all(
      [of.file, ...of.keys, ...of.authorities].map(async (file) => [
        file.split('/').pop(),
        (await readFile(file)).toString('base64'),
      ]),
    );
    await browser.evaluate("document.querySelector('button[type=reset]').click()");
    const word = await browser.evaluate<string>(`new Promise((done) => {
      const dropped = new DataTransfer();
      for (const [name, bytes] of ${JSON.stringify(files)}) {
        dropped.items.add(new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], name));
      }
      document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: dropped, bubbles: true }));
      const read = () => {
        const word = document.querySelector('.verdict .word')?.textContent;
        return word === undefined ? setTimeout(read, 5) : done(word);
      };
      read();
    })`);
    expect(word).toBe('✓ Good');
  });

  test('shows what a file holds as text, never as markup', async () => {
    const of = cases.find(({ name }) => name === 'with text that is hostile') as EvidenceCase;
    const { story } = await shown(of);
    expect(story).toContain('/<b>pay</b>ments');
    const made = await browser.evaluate<number>(
      "document.querySelectorAll('img, b, i, iframe, form form').length",
    );
    const scripts = await browser.evaluate<number>("document.querySelectorAll('script').length");
    expect([made, scripts]).toEqual([0, 1]);
  });

  test('tells nothing of a file when what was brought along cannot be read', async () => {
    const [good] = cases as [EvidenceCase];
    const notes = join(folder.path, 'notes.txt');
    await writeFile(notes, 'dear auditor\n');
    const page = await shown({ ...good, keys: [...good.keys, notes] });
    expect(page.verdict).toBe(
      'Nothing was verified: could not read verifier key: found no <name>+<key ID>+<base64>',
    );
    expect(page.checks).toEqual([]);
    const serverOnly = await shown({ ...good, authorities: [of('ec.pem')] });
    expect(serverOnly.verdict).toContain('is not for time stamping');
    function of(name: string): string {
      return join(folder.path, 'cases', name);
    }
  });

  test('can be used from the keyboard, with a name for each control and enough contrast', async () => {
    await shown(cases[0] as EvidenceCase);
    const nameless = await browser.evaluate<
      string[]
    >(`[...document.querySelectorAll('input, textarea')]
      .filter((field) => field.labels.length === 0).map((field) => field.id)`);
    expect(nameless).toEqual([]);
    const verdict = await browser.evaluate<string[]>(`['role', 'aria-live', 'aria-atomic']
      .map((name) => document.querySelector('#verdict').getAttribute(name))`);
    expect(verdict).toEqual(['status', 'polite', 'true']);
    await browser.evaluate(
      "document.querySelector('details').open = true; document.activeElement.blur()",
    );
    const reached = new Set<string>();
    for (let press = 0; press < 14; press++) {
      await browser.call('Input.dispatchKeyEvent', {
        type: 'keyDown',
        key: 'Tab',
        windowsVirtualKeyCode: 9,
      });
      await browser.call('Input.dispatchKeyEvent', {
        type: 'keyUp',
        key: 'Tab',
        windowsVirtualKeyCode: 9,
      });
      reached.add(
        await browser.evaluate('document.activeElement.id || document.activeElement.tagName'),
      );
    }
    const controls = [
      'file',
      'keys',
      'key-files',
      'authorities',
      'tokens',
      'content',
      'SUMMARY',
      'BUTTON',
    ];
    expect([...reached]).toEqual(expect.arrayContaining(controls));
    for (const value of ['light', 'dark']) {
      await browser.call('Emulation.setEmulatedMedia', {
        features: [{ name: 'prefers-color-scheme', value }],
      });
      expect(await browser.evaluate<string[]>(FAINT_TEXTS)).toEqual([]);
    }
  });

  test('asks no network for anything, and the browser has nothing to complain of', async () => {
    expect(requests).toEqual([url]);
    expect(complaints).toEqual([]);
    const refused = await browser.evaluate<string>(
      "fetch('https://bank.example/').then(() => 'went', (error) => String(error))",
    );
    expect(refused).toContain('TypeError');
    expect(complaints.join()).toContain('Content Security Policy');
  });
});

/** Texts whose contrast with what is behind them is below WCAG 2.2 §1.4.3. */
const FAINT_TEXTS = `(() => {
  const numbers = (colour) => (colour.match(/[0-9.]+/g) ?? []).map(Number);
  const behind = (node) => {
    for (let each = node; each; each = each.parentElement) {
      const [r, g, b, a = 1] = numbers(getComputedStyle(each).backgroundColor);
      if (a === 1) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const light = (colour) => colour.slice(0, 3).map((each) => each / 255)
    .map((each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4))
    .reduce((sum, each, at) => sum + each * [0.2126, 0.7152, 0.0722][at], 0);
  const found = [];
  const walker = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const { parentElement, data } = walker.currentNode;
    if (data.trim() === '' || parentElement.tagName === 'TEXTAREA') continue;
    const [a, b] = [light(numbers(getComputedStyle(parentElement).color)), light(behind(parentElement))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push(data.trim().slice(0, 40) + ' ' + ratio.toFixed(2));
  }
  return found;
})()`;

test('the evidence page is the same bytes whenever it is built, and needs no inline code that its policy does not name', async () => {
  const [first, second] = [await evidencePage(), await evidencePage()];
  expect(second.sha256).toBe(first.sha256);
  expect(createHash('sha256').update(first.html).digest('hex')).toBe(first.sha256);
  expect(first.html).toContain("default-src 'none'; script-src 'sha256-");
  const [markup] = first.html.split('<script>');
  expect(markup).not.toMatch(/\son[a-z]+=|\sstyle=|unsafe-|https?:/);
});

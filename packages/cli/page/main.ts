import { verifyEventEvidence } from '@countersign/audit';
import { LedgerError } from '@countersign/ledger';
import { printable } from '../src/record/printable.ts';
import { Buffer } from './buffer.ts';
import { byId, element } from './element.ts';
import { showFinding, showTrouble } from './show-finding.ts';
import { type SortedKey, sortKeys } from './sort-keys.ts';

/** As the command has it. */
const FILE_BYTES_MAX = 16 * 1024 * 1024;

interface ReadFile {
  readonly name: string;
  readonly bytes: Buffer;
}

/** What was chosen and read. */
let evidence: ReadFile | undefined;
let content: ReadFile | undefined;
let authorities: readonly ReadFile[] = [];

const form = byId('form', HTMLFormElement);
const keys = byId('keys', HTMLTextAreaElement);
const tokens = byId('tokens', HTMLTextAreaElement);

/** Verifies again with all that there is now. */
function verify(): void {
  const sorted = sortKeys(keys.value);
  showKeys(sorted);
  showNames();
  const wrong = sorted.find(({ kind }) => kind === 'none');
  if (!evidence) showTrouble('');
  else if (wrong) showTrouble(`Nothing was verified: ${wrong.detail}`);
  else showVerified(evidence, sorted);
}

function showVerified(file: ReadFile, sorted: readonly SortedKey[]): void {
  const textsOf = (wanted: SortedKey['kind']) =>
    sorted.filter(({ kind }) => kind === wanted).map(({ text }) => text);
  try {
    showFinding(
      verifyEventEvidence(file.bytes.toString('utf8'), {
        logKeys: textsOf('log'),
        witnessKeys: textsOf('witness'),
        timestampAuthorities: authorities.map(({ bytes }) => bytes),
        tokens: linesOf(tokens.value),
        ...(content && { content: content.bytes }),
      }),
    );
  } catch (error) {
    // What was brought along is no key or certificate; anything else is a fault of the page, and no verdict either.
    const detail = error instanceof Error ? error.message : String(error);
    const cause = error instanceof LedgerError ? '' : 'this page failed: ';
    showTrouble(`Nothing was verified: ${cause}${detail}`);
  }
}

function showKeys(sorted: readonly SortedKey[]): void {
  const words = { log: 'log', witness: 'witness', none: 'no key' } as const;
  byId('keys-found', HTMLUListElement).replaceChildren(
    ...sorted.map(({ kind, detail }) =>
      element('li', kind === 'none' ? 'wrong' : '', `${words[kind]}: ${printable(detail)}`),
    ),
  );
}

function showNames(): void {
  byId('file-name', HTMLElement).textContent = printable(evidence?.name ?? '');
  byId('content-name', HTMLElement).textContent = printable(content?.name ?? '');
  byId('authorities-found', HTMLUListElement).replaceChildren(
    ...authorities.map(({ name }) => element('li', '', printable(name))),
  );
}

function linesOf(text: string): readonly string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

async function read(files: Iterable<File>): Promise<readonly ReadFile[]> {
  return Promise.all(
    [...files].map(async (file) => {
      if (file.size > FILE_BYTES_MAX) {
        throw new Error(
          `found ${file.size} bytes in ${file.name}, expected at most ${FILE_BYTES_MAX}`,
        );
      }
      return { name: file.name, bytes: Buffer.from(await file.arrayBuffer()) };
    }),
  );
}

/** Puts dropped files where they belong: certificates, the one evidence file, and all else as keys. */
function sortDropped(files: readonly ReadFile[]): void {
  for (const file of files) {
    const text = file.bytes.toString('utf8');
    if (text.includes('-----BEGIN CERTIFICATE-----')) authorities = [...authorities, file];
    else if (text.trimStart().startsWith('{')) evidence = file;
    else addKeys([file]);
  }
}

function addKeys(files: readonly ReadFile[]): void {
  const added = files.flatMap(({ bytes }) => linesOf(bytes.toString('utf8')));
  keys.value = [...new Set([...linesOf(keys.value), ...added])].join('\n');
}

/** Takes files in, then verifies. */
function take(files: Iterable<File>, keep: (files: readonly ReadFile[]) => void): void {
  read(files).then(
    (found) => {
      keep(found);
      verify();
    },
    (error: unknown) => showTrouble(`Cannot read: ${String((error as Error).message)}`),
  );
}

function onChoice(id: string, keep: (files: readonly ReadFile[]) => void): void {
  const input = byId(id, HTMLInputElement);
  input.addEventListener('change', () => take(input.files ?? [], keep));
}

onChoice('file', ([file]) => {
  evidence = file;
});
onChoice('content', ([file]) => {
  content = file;
});
onChoice('authorities', (files) => {
  authorities = files;
});
onChoice('key-files', addKeys);
keys.addEventListener('input', verify);
tokens.addEventListener('input', verify);
form.addEventListener('submit', (event) => event.preventDefault());
form.addEventListener('reset', () => {
  evidence = undefined;
  content = undefined;
  authorities = [];
  // The fields are empty only after this event.
  setTimeout(verify);
});
document.addEventListener('dragover', (event) => {
  event.preventDefault();
  document.body.classList.add('over');
});
document.addEventListener('dragleave', () => document.body.classList.remove('over'));
document.addEventListener('drop', (event) => {
  event.preventDefault();
  document.body.classList.remove('over');
  take(event.dataTransfer?.files ?? [], sortDropped);
});

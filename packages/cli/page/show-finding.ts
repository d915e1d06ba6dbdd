import type { EvidenceFinding } from '@countersign/audit';
import type { EvidenceCheck } from '@countersign/ledger';
import { printable } from '../src/record/printable.ts';
import { RESULTS, ROLES, wordsOf } from './check-words.ts';
import { byId, element } from './element.ts';

/** Shows the verdict and each check of a finding. */
export function showFinding({ result, malformed, story, checks }: EvidenceFinding): void {
  const { sign, word, means } = RESULTS[result];
  const told = malformed ?? story?.words ?? 'It tells of no event that can be read.';
  byId('verdict', HTMLElement).replaceChildren(
    element(
      'div',
      `verdict ${result}`,
      element('p', 'word', `${sign} ${word}`),
      element('p', 'means', means),
      element('p', 'story', malformed === undefined ? 'The file tells: ' : '', printable(told)),
    ),
  );
  byId('checks', HTMLElement).replaceChildren(...groups(checks));
}

/** Says what is missing, or wrong with what was brought along. */
export function showTrouble(text: string): void {
  const isFault = text !== '';
  byId('verdict', HTMLElement).replaceChildren(
    element('p', isFault ? 'wrong' : 'none', isFault ? printable(text) : 'No file yet.'),
  );
  byId('checks', HTMLElement).replaceChildren();
}

/** The checks of each entry below each other, in the order of the file; the file as a whole first. */
function groups(checks: readonly EvidenceCheck[]): readonly Node[] {
  const byRole = Map.groupBy(checks, ({ role = '' }) => role);
  return [...byRole].flatMap(([role, found]) => {
    const words = Object.hasOwn(ROLES, role) ? ROLES[role] : undefined;
    const { title, asks } = words ?? { title: printable(role), asks: '' };
    return [
      element('h3', '', title),
      ...(asks === '' ? [] : [element('p', 'role-about', asks)]),
      element('ul', 'checks', ...found.map(checkItem)),
    ];
  });
}

function checkItem(check: EvidenceCheck): Node {
  const { sign, word } = RESULTS[check.result];
  const { title, asks } = wordsOf(check);
  const item = element(
    'li',
    '',
    element('span', `result ${check.result}`, `${sign} ${word}`),
    element(
      'div',
      '',
      element('p', 'what', printable(title)),
      element('p', 'about', asks),
      element('p', 'detail', printable(check.detail)),
    ),
  );
  item.dataset['part'] = check.part;
  item.dataset['result'] = check.result;
  return item;
}

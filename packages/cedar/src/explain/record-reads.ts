import type { Expression } from '../ast/expression.ts';
import type { Environment } from '../partial/environment.ts';
import type { Partial } from '../partial/partial.ts';
import { CedarRecord } from '../value/cedar-record.ts';
import { EntityUid } from '../value/entity-uid.ts';
import { accessText } from './access-text.ts';
import type { Read } from './explanation.ts';
import { seenValue } from './seen-value.ts';

/** Watches evaluation and notes what it reads of the request and of entities. */
export class ReadRecorder {
  readonly #text: string;
  readonly #partials = new Map<Expression, Partial>();
  readonly #reads = new Map<Expression, Read>();

  /** @param text the policy's, in which spans count */
  constructor(text: string) {
    this.#text = text;
  }

  readonly observe: NonNullable<Environment['observe']> = (node, partial) => {
    this.#partials.set(node, partial);
    switch (node.kind) {
      case 'variable':
        return this.#note(node, node.name, partial);
      case 'attribute':
      case 'has':
        // Of `context.a.b` the context as a whole tells nothing.
        if (node.operand.kind === 'variable') this.#reads.delete(node.operand);
        return this.#noteOf(node, node.operand, partial);
      case 'binary':
        if (node.operator === 'getTag' || node.operator === 'hasTag') {
          this.#noteOf(node, node.left, partial);
        }
        return;
      default:
        return;
    }
  };

  /** In the order of the text, each once. */
  reads(): readonly Read[] {
    const byText = new Map<string, Read>();
    const sorted = [...this.#reads.values()].sort(
      (one, other) => one.span.start - other.span.start || one.span.end - other.span.end,
    );
    for (const read of sorted) if (!byText.has(read.text)) byText.set(read.text, read);
    return [...byText.values()];
  }

  /** Notes a read of something; where that has no attributes or tags at all, nothing was read. */
  #noteOf(node: Expression, holder: Expression, partial: Partial): void {
    const of = this.#partials.get(holder);
    if (of?.kind !== 'known') return;
    if (!(of.value instanceof EntityUid) && !(of.value instanceof CedarRecord)) return;
    this.#note(node, accessText(node, this.#text), partial);
  }

  #note(node: Expression, text: string, partial: Partial): void {
    const { span } = node;
    if (partial.kind === 'known') {
      this.#reads.set(node, { kind: 'value', text, span, value: seenValue(partial.value) });
    } else if (partial.kind === 'failed') {
      this.#reads.set(node, { kind: 'missing', text, span });
    }
  }
}

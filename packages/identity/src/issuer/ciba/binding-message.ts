/** Characters; CIBA Core §7.1: "relatively short". */
const LENGTH_MAX = 64;

/**
 * Why a binding message cannot be shown, if it cannot: the person compares it with what the application shows, so nothing in it may
 * be invisible, change the direction of what is around it, or stand for two texts.
 *
 * @see CIBA Core 1.0 §7.1; Unicode TR36 §2.5
 */
export function bindingMessageFault(message: unknown): string | undefined {
  // FAPI-CIBA §5.2.2: a request says what it is about.
  if (typeof message !== 'string' || message === '') return 'binding_message is missing';
  if ([...message].length > LENGTH_MAX) return `binding_message is longer than ${LENGTH_MAX}`;
  if (/[\p{C}\p{Zl}\p{Zp}]/u.test(message)) {
    return 'binding_message has characters that cannot be seen, or that turn the direction of text';
  }
  // Letters with heaps of marks cover the lines around them.
  if (/\p{M}{3,}/u.test(message)) return 'binding_message has more than two marks on one letter';
  if (/[^\S ]| {2}|^ | $/u.test(message)) {
    return 'binding_message has spaces other than single ones between words';
  }
  if (message !== message.normalize('NFC')) return 'binding_message is not in normal form NFC';
  return undefined;
}

/** Who a request says that it is from; whether it is, is seen later. */
export function claimedClient(form: string): string {
  const fields = new URLSearchParams(form);
  const claimed = fields.get('client_id');
  if (claimed !== null) return claimed;
  try {
    const [, claims = ''] = (fields.get('client_assertion') ?? '').split('.');
    return String(JSON.parse(Buffer.from(claims, 'base64url').toString('utf8'))['sub'] ?? '');
  } catch {
    return '';
  }
}

// SPDX-License-Identifier: MIT
// What the page asks of its server. Each promise is of the answer; what went wrong is an Error with a sentence for people.

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error('The dashboard\'s server does not answer.');
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw Object.assign(new Error(answer.error ?? `The answer was ${response.status}.`), { status: response.status });
  return answer;
}

const post = (path, body) =>
  ask(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });

export const gateways = () => ask('/api/gateways');
export const connectionAt = async (gateway, cell) => (await ask(`/api/connection?gateway=${gateway}&cell=${cell}`)).connections[0] ?? null;
export const login = (token) => post('/api/login', { token });
export const logout = () => post('/api/logout', {});
export const evict = (gateway, id) => post(`/api/evict?gateway=${gateway}&id=${id}`, {});
export const setPolicy = (gateway, change) => post(`/api/policy?gateway=${gateway}`, change);

// SPDX-License-Identifier: MIT
// Logging in and out. The page shows nothing else until its server lets it watch.
import * as api from '/api.js';
import { byId, setText } from '/dom.js';

// Show the form until the server has taken a token.
function askForToken() {
  const form = byId('login-form');
  const token = byId('login-token');
  document.documentElement.dataset.login = 'needed';
  document.title = 'fluxbp: log in';
  byId('login').hidden = false;
  token.focus();
  return new Promise((resolve) => {
    form.addEventListener('submit', async (event) => {
      event.preventDefault();
      byId('login-submit').disabled = true;
      try {
        await api.login(token.value.trim());
        byId('login').hidden = true;
        delete document.documentElement.dataset.login;
        resolve();
      } catch (error) {
        setText(byId('login-message'), error.message);
        token.select();
      }
      byId('login-submit').disabled = false;
    });
  });
}

// What GET /api/gateways answers, as soon as the visitor may have it.
export async function admit() {
  try {
    return await api.gateways();
  } catch (error) {
    if (error.status !== 401) throw error;
  }
  await askForToken();
  return api.gateways();
}

// Begin anew, with the form, if the login has ended.
export async function checkLogin() {
  const status = await api.gateways().then(() => 200, (error) => error.status);
  if (status === 401) location.reload();
}

export function showLogout(isLoggedIn) {
  byId('logout').hidden = !isLoggedIn;
  byId('logout').addEventListener('click', () => api.logout().finally(() => location.reload()));
}

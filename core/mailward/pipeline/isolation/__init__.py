"""Plugins in processes of their own (`isolation: process`): the same hooks, called behind a border that the kernel guards.

It is the calls that are behind it. The server still imports a plugin's module to know what it declares, so the border holds for
what a message makes of an honest plugin, not for a plugin whose author means harm (decision 0024).
"""

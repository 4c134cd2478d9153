/* What a test wrote to disk goes when it ends. */
#pragma once

/* Removes @path with all that is in it. Links are removed, not followed; what cannot be removed stays. */
void test_folder_remove (const char *path);

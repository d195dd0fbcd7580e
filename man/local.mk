# what this room builds
dist_man_MANS += %D%/meshd.conf.5
